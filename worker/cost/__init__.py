"""What an installation costs a month on AWS: prices, what is used of them, and the bill."""
