"""What is evaluated is never trained on: shared n-grams, held-out products and problems."""
