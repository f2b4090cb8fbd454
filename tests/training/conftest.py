"""Here so that the tests of every room below find what they share."""
