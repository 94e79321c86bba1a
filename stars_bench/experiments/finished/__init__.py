"""What starts from finished runs: checking, comparing, repeating, predicting, drawing."""
