"""One file for each array library; `table` lists them."""
