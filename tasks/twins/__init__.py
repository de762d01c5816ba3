"""Near copies of clips: what moves in each as words of 64 bits, and the pairs whose words agree."""
