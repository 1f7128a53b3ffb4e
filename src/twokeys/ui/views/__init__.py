"""One file a screen. No view imports another; what two share is in the folder above."""
