"""What every resource of the admin REST API shares. Lies below all apps: it knows no tenant's models, only shapes."""
