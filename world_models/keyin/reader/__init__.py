"""Where things are in the pictures of embeddings, read off without decoding them."""
