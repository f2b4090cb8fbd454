"""Its folder is where tests below it find the stages that they share."""
