"""The texts of documents: change sets, and how agents search and replace. Pure; `store` and `runs` call it."""
