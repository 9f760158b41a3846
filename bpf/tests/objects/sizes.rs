//! What an object says of a variable's length, and of relocations in a form that the loader does not read.

use kernel_arena_bpf::object::{Feature, LoadError, Object};

use crate::ground::committed;

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The places of the headers of sections of a type.
fn sections(bytes: &[u8], kind: usize) -> Vec<usize> {
    let (first, count) = (number(bytes, 40, 8), number(bytes, 60, 2));
    (0..count).map(|index| first + index * 64).filter(|at| number(bytes, at + 4, 4) == kind).collect()
}

#[test]
fn a_variable_that_is_longer_than_its_section_is_refused() {
    let mut tried = 0;
    for (name, bytes) in committed("") {
        let Some(&table) = sections(&bytes, 2).first() else { continue };
        let (first, length) = (number(&bytes, table + 24, 8), number(&bytes, table + 32, 8));
        for symbol in (first + 24..first + length).step_by(24) {
            // A global variable in a section of the object.
            let home = number(&bytes, symbol + 6, 2);
            if bytes[symbol + 4] != 0x11 || home == 0 || home >= 0xff00 {
                continue;
            }
            let section = number(&bytes, number(&bytes, 40, 8) + home * 64 + 32, 8) as u64;
            let room = section - number(&bytes, symbol + 8, 8) as u64;
            for (size, fits) in [(room, true), (room + 1, false), (u64::MAX, false)] {
                let mut changed = bytes.clone();
                changed[symbol + 16..symbol + 24].copy_from_slice(&size.to_le_bytes());
                let parsed = Object::parse(&changed).map(drop);
                let refused = matches!(parsed, Err(LoadError::SymbolOutside { .. }));
                assert_eq!((parsed.is_ok(), refused), (fits, !fits), "{name}: {size:#x} of {room:#x}: {parsed:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 0);
}

#[test]
fn relocations_in_a_form_that_is_not_read_are_refused() {
    const SHT_CREL: u32 = 0x4000_0014;
    let (name, bytes) = committed("list").swap_remove(0);
    let table = sections(&bytes, 9).into_iter().find(|at| {
        let target = number(&bytes, 40, 8) + number(&bytes, at + 44, 4) * 64;
        bytes[target + 8] & 2 != 0
    });
    let table = table.expect("relocations of a section that takes memory");
    let mut changed = bytes.clone();
    changed[table + 4..table + 8].copy_from_slice(&SHT_CREL.to_le_bytes());
    let refused = Object::parse(&changed).map(drop);
    let named = matches!(refused, Err(LoadError::Unsupported { feature: Feature::Type(SHT_CREL), .. }));
    assert!(named, "{name}: {refused:?}");
}
