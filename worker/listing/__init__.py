"""Listing a bucket: pages streamed, checked and summed up, with boto3's own parser left out.

Why not boto3's paginator: docs/decisions/0013-listing-without-a-parser.md.
"""
