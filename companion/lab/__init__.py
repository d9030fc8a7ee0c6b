"""The laboratory: what the book's interactive pages are given, and the pieces of HTML that they begin from."""
