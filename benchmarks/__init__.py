"""Speed and accuracy side by side with peers; never part of the test run."""
