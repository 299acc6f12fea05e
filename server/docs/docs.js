// The description of this server, with the key of the page, if one was given there.

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  tryItOutEnabled: true,
  // Without this, the description of a server on this machine would be sent elsewhere to be checked.
  validatorUrl: null,
  requestInterceptor: (request) => {
    const key = sessionStorage.getItem("waymark-key");
    if (key && !request.headers.Authorization) request.headers.Authorization = `Bearer ${key}`;
    return request;
  },
});
