"""Strangers' plugins: read without importing, installed beside the app, run in processes of their own."""
