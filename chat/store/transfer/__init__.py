"""Export conversations with all that belongs to them, and import them again.

tables      which tables and fields are exported, in which order, and which are not
export      rows to lines, read in pages
formats     lines to JSON Lines, Markdown, and HTML
lines       what a line may hold
load        lines to rows
"""
