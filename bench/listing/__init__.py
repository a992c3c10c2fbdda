"""What the bench of listings needs: a fast server, the limit, and each contender's program."""
