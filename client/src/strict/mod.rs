//! Strict reading of JSON and compact JOSE objects.
