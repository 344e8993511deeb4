"""Next-item recommendation: sequences parted for training and test, ranking measured, recommendations explained."""
