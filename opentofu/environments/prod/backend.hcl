# Made by the root bootstrap.
bucket = "example-build-state-prod"
