"""An n-gram reference: modified Kneser-Ney over tokens; no document meets its own counts."""
