"""A believable site, made in bulk: for looking at the admin and for measuring.

texts      sentences, titles, and names, put together from a stock
make       conversations, with all that belongs to them
fill       rows into the database
"""
