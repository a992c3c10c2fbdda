"""The stand-in: SQS, DynamoDB, S3 and Stripe in one process, so that the server is not measured.

It keeps what it is given, evaluates the conditions that it is given, and counts the calls. It
checks no signature, throttles nothing and forgets everything at its end.
"""
