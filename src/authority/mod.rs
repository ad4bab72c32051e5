//! The use cases: what the service does, called by HTTP and the command line alike.
