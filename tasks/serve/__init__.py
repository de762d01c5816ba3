"""The service: the champion answers over HTTP, and follows the registry's alias."""
