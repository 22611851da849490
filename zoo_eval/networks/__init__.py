"""Networks: what one is made of, known without its weights."""
