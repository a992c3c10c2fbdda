"""CloudFormation templates and the embedded local parts."""
