//! Records of which a store has exactly one, and which hold 32 bytes, wrapped.

/// Defines the record: its type, its key in the store, which also is its place, and its name in messages.
macro_rules! only_secret {
    ($(#[$documentation:meta])* $record:ident, $key:literal, $name:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $record {
            /// The wrapped secret, 32 bytes.
            pub wrapped: $crate::crypto::wrap::Wrapped,
        }

        impl $record {
            /// The place of the secret, to which its wrapping is bound.
            #[must_use]
            pub fn place_in(store_id: &[u8; 16]) -> $crate::crypto::wrap::Place {
                $crate::crypto::wrap::Place::new(store_id, $key, &[], &[])
            }
        }

        impl $crate::store::record::stored::Record for $record {
            type Form = $crate::store::record::form::Json;

            const PREFIX: &'static str = $key;

            fn key(&self) -> Vec<u8> {
                Self::PREFIX.into()
            }
        }

        impl $crate::store::record::secret_record::SecretRecord for $record {
            fn wrapped(&self) -> &$crate::crypto::wrap::Wrapped {
                &self.wrapped
            }

            fn rewrapped(&self, wrapped: $crate::crypto::wrap::Wrapped) -> Self {
                Self { wrapped }
            }

            fn place(&self, store_id: &[u8; 16]) -> $crate::crypto::wrap::Place {
                Self::place_in(store_id)
            }

            fn name(&self) -> String {
                $name.into()
            }
        }
    };
}

pub(super) use only_secret;
