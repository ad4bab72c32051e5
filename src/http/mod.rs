//! HTTP: routes, proof extractors, problem documents.
