"""The image of the services: built, looked into and run without a daemon."""
