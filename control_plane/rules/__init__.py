"""What all rules share: which exchanges they are about, their periods, and how they are read, checked and told."""
