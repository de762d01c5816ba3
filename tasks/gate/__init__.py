"""The gate: on which clips a challenger meets the champion, what it has to hold, and how the verdict is shown."""
