"""The ledger: one item per billing fact, and the rules by which it moves.

``fact``, ``item`` and ``rules`` are pure; ``store`` reads and writes DynamoDB.
"""
