"""Where the icons' vectors are: files, or S3 Vectors."""
