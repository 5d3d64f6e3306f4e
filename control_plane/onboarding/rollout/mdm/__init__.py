"""Device managements: for each, files that can be uploaded and the steps around them."""
