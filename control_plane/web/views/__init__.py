"""The pages. Each view reads the address, calls one service or some selectors, and names its template."""
