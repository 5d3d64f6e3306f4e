"""What people type, checked for shape; whether it may be so is the services' matter."""
