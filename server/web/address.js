// What is chosen stands in the address bar, so that reloading and sharing bring the same again.

const SHOWN = "show";

const chosen = () => new URLSearchParams(location.search);

export const address = {
  get: (name) => chosen().get(name),

  // Null takes a name out.
  set(values) {
    const names = chosen();
    for (const [name, value] of Object.entries(values)) {
      if (value === null) names.delete(name);
      else names.set(name, value);
    }
    write(names);
  },

  clear: () => write(new URLSearchParams()),

  // What has been made and is to be made again: "plan", "execute", "clip", "loop".
  shown: () => new Set(chosen().get(SHOWN)?.split(".") ?? []),
  show(name, is = true) {
    const names = address.shown();
    if (is) names.add(name);
    else names.delete(name);
    address.set({ [SHOWN]: names.size ? [...names].join(".") : null });
  },
};

function write(names) {
  names.sort(); // one address for one state
  history.replaceState(null, "", names.size ? `?${names}` : location.pathname);
}
