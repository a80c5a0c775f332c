"""An app of the site that happens to be called `chat`: topics for small talk at the coffee machine."""
