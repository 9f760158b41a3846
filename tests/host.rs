//! Tests on a software machine; they follow in the next step.
