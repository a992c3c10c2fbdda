"""The audit of daily rows against an S3 Inventory: what S3 itself says a bucket holds.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
"""
