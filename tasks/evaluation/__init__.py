"""What the evaluation measures, for models that name one class and for those that name any number of labels."""
