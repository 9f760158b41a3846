//! Objects that somebody has broken: each way is refused by name.

use kernel_arena::ArenaPtr;
use kernel_arena::access::Width;
use kernel_arena_bpf::object::{Feature, LoadError, Object, RelocationFault};
use kernel_arena_bpf::{Insn, Window};

use crate::ground::{HOSTS, base, committed};
use crate::plain::Plain;

/// An object to be broken.
struct Broken(Vec<u8>);

/// Where fields lie in a header of a section, in a symbol and in a relocation (System V ABI, chapter 4).
const TYPE: usize = 4;
const FLAGS: usize = 8;
const OFFSET: usize = 24;
const SIZE: usize = 32;
const LINK: usize = 40;
const ALIGNMENT: usize = 48;
const SYMBOL_SECTION: usize = 6;
const SYMBOL_VALUE: usize = 8;

impl Broken {
    fn new(file: &str) -> Self {
        let (_, bytes) = committed("").into_iter().find(|(name, _)| name == file).expect("it is committed");
        Self(bytes)
    }

    fn get(&self, at: usize, bytes: usize) -> usize {
        self.0[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn put(&mut self, at: usize, bytes: usize, value: u64) -> &mut Self {
        self.0[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
        self
    }

    fn set(&mut self, at: usize, bytes: usize, value: u64) {
        self.put(at, bytes, value);
    }

    fn sections(&self) -> impl Iterator<Item = usize> {
        let (first, count) = (self.get(40, 8), self.get(60, 2));
        (0..count).map(move |index| first + index * 64)
    }

    fn text(&self, table: usize, at: usize) -> &str {
        let from = self.get(table + OFFSET, 8) + at;
        let end = self.0[from..].iter().position(|byte| *byte == 0).unwrap();
        std::str::from_utf8(&self.0[from..from + end]).unwrap()
    }

    /// The header of a section.
    fn section(&self, name: &str) -> usize {
        let names = self.sections().nth(self.get(62, 2)).unwrap();
        self.sections().find(|section| self.text(names, self.get(*section, 4)) == name).expect("there is this section")
    }

    /// A symbol: its number, and its place.
    fn symbol(&self, name: &str) -> (usize, usize) {
        let table = self.section(".symtab");
        let names = self.sections().nth(self.get(table + LINK, 4)).unwrap();
        let first = self.get(table + OFFSET, 8);
        let symbols = (0..self.get(table + SIZE, 8) / 24).map(|index| (index, first + index * 24));
        symbols.into_iter().find(|(_, at)| self.text(names, self.get(*at, 4)) == name).expect("there is this symbol")
    }

    /// The first relocation of a section.
    fn relocation(&self, section: &str) -> usize {
        self.get(self.section(section) + OFFSET, 8)
    }

    /// The contents of a section.
    fn contents(&self, section: &str) -> usize {
        self.get(self.section(section) + OFFSET, 8)
    }

    /// Why it is not loaded.
    fn refusal(&self) -> LoadError<'_> {
        self.loads().expect_err("it is broken")
    }

    fn loads(&self) -> Result<(), LoadError<'_>> {
        let object = Object::parse(&self.0)?;
        let mut code = vec![Insn::default(); object.needs().instructions as usize];
        let data = ArenaPtr::new(0x10_0000).unwrap();
        let window = Plain::new(0x100..0x110);
        object.load(&mut code, data, base(), |name| HOSTS.number_of(name), &window).map(drop)
    }
}

/// The errors of what is made of an object of `numbers.c` or another.
fn refused(file: &str, breaks: impl FnOnce(&mut Broken)) -> String {
    let mut object = Broken::new(file);
    breaks(&mut object);
    format!("{:?}", object.refusal())
}

const NUMBERS: &str = "numbers.clang-22.v4.o";

fn numbers(breaks: impl FnOnce(&mut Broken)) -> String {
    refused(NUMBERS, breaks)
}

fn said(error: LoadError<'_>) -> String {
    format!("{error:?}")
}

#[test]
fn what_is_no_object_is_named() {
    for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", &[0; 100]] {
        assert_eq!(Object::parse(bytes).unwrap_err(), LoadError::NotElf);
    }
    assert_eq!(Object::parse(b"\x7fELF").unwrap_err(), LoadError::Truncated);
    // Class, byte order, version; type and machine.
    for (at, value) in [(4, 1), (5, 2), (6, 7), (16, 2), (18, 62)] {
        assert_eq!(numbers(|o| o.set(at, 1, value)), said(LoadError::NotBpf), "{at}");
    }
}

#[test]
fn headers_that_lead_out_of_the_file_are_named() {
    let truncated = said(LoadError::Truncated);
    for (at, bytes, value) in [
        (40, 8, 0),
        (40, 8, u64::MAX),
        (40, 8, 1 << 20),
        (58, 2, 63),
        (60, 2, 0xffff),
        (60, 2, 0),
        (62, 2, 0xfff0),
        (62, 2, 0xffff),
        (62, 2, 100),
    ] {
        assert_eq!(numbers(|o| o.set(at, bytes, value)), truncated, "{at} {value:#x}");
    }
    assert_eq!(numbers(|o| o.set(o.section(".symtab") + LINK, 4, 0xffff_ffff)), truncated);
    for offset in [u64::MAX, u64::MAX - 10, 1 << 40] {
        let error = numbers(|o| o.set(o.section(".data") + OFFSET, 8, offset));
        assert_eq!(error, "SectionOutside { section: \".data\" }");
        let error = numbers(|o| o.set(o.section("code") + SIZE, 8, offset & !7));
        assert_eq!(error, "SectionOutside { section: \"code\" }");
    }
}

#[test]
fn each_length_of_a_file_but_its_own_is_refused_or_harmless() {
    let whole = Broken::new(NUMBERS).0;
    // The headers come last: without their last byte there are none.
    for length in 0..whole.len() {
        let error = Object::parse(&whole[..length]).expect_err("it is cut off");
        assert!(matches!(error, LoadError::NotElf | LoadError::Truncated), "{length}: {error}");
    }
}

#[test]
fn sections_of_other_kinds_are_named() {
    let feature = |section: &str, breaks: fn(&mut Broken, usize), feature| {
        let error = numbers(|o| breaks(o, o.section(section)));
        assert_eq!(error, format!("Unsupported {{ section: {section:?}, feature: {feature:?} }}"));
    };
    feature(".data", |o, at| o.set(at + FLAGS, 8, 2 | 0x800), Feature::Compression);
    feature(".data", |o, at| o.set(at + FLAGS, 8, 2 | 0x400), Feature::ThreadLocal);
    feature(".data", |o, at| o.set(at + TYPE, 4, 14), Feature::Type(14));
    feature("code", |o, at| o.set(at + TYPE, 4, 8), Feature::BrokenCode);
    feature("code", |o, at| o.set(at + SIZE, 8, 12), Feature::BrokenCode);
    feature(".rel.data", |o, at| o.set(at + TYPE, 4, 4), Feature::AddendRelocations);
    // The name of an unimportant section is made one letter longer by a table of strings of its own.
    let error = numbers(|o| {
        let (names, bss) = (o.sections().nth(o.get(62, 2)).unwrap(), o.section(".bss"));
        let (from, length) = (o.get(names + OFFSET, 8), o.get(names + SIZE, 8));
        let mut table = o.0[from..from + length].to_vec();
        table.extend(b".jumptables\0");
        let at = o.0.len() as u64;
        o.0.extend(&table);
        o.put(names + OFFSET, 8, at).put(names + SIZE, 8, table.len() as u64).put(bss, 4, length as u64);
    });
    assert_eq!(error, "Unsupported { section: \".jumptables\", feature: JumpTables }");
    for alignment in [3, 0x2000, u64::MAX] {
        let error = numbers(|o| o.set(o.section(".data") + ALIGNMENT, 8, alignment));
        assert_eq!(error, format!("SectionAlignment {{ section: \".data\", alignment: {alignment} }}"));
    }
}

#[test]
fn sizes_are_bounded() {
    for size in [1 << 32, (1 << 32) - 0x1000 + 1, 1 << 40, u64::MAX] {
        assert_eq!(numbers(|o| o.set(o.section(".bss") + SIZE, 8, size)), said(LoadError::TooLarge));
    }
    // Two sections that have the whole file each.
    let error = numbers(|o| {
        let length = o.0.len() as u64;
        for section in [".data", ".rodata.str1.1"] {
            let at = o.section(section);
            o.put(at + OFFSET, 8, 0).put(at + SIZE, 8, length);
        }
    });
    assert_eq!(error, said(LoadError::Overlap));
    // 200 more sections of zeros.
    let error = numbers(|o| {
        let (first, count, bss) = (o.get(40, 8), o.get(60, 2), o.section(".bss"));
        let mut headers = o.0[first..first + count * 64].to_vec();
        (0..200).for_each(|_| headers.extend(&o.0[bss..bss + 64]));
        let at = o.0.len() as u64;
        o.0.extend(&headers);
        o.put(40, 8, at).put(60, 2, count as u64 + 200);
    });
    assert_eq!(error, said(LoadError::TooManySections { limit: 128 }));
}

#[test]
fn symbols_without_a_place_are_named() {
    let symbol = |breaks: fn(&mut Broken, usize)| numbers(|o| breaks(o, o.symbol("second").1));
    let outside = "SymbolOutside { symbol: \"second\" }";
    assert_eq!(symbol(|o, at| o.set(at + SYMBOL_VALUE, 8, 1 << 20)), outside);
    assert_eq!(symbol(|o, at| o.set(at + SYMBOL_VALUE, 8, u64::MAX)), outside);
    assert_eq!(symbol(|o, at| o.set(at + SYMBOL_SECTION, 2, 500)), outside);
    assert_eq!(symbol(|o, at| o.set(at + SYMBOL_SECTION, 2, 0xfff2)), "Common { symbol: \"second\" }");
    assert_eq!(symbol(|o, at| o.set(at + SYMBOL_SECTION, 2, 0xfff1)), "NotLoaded { symbol: \"second\" }");
    assert_eq!(symbol(|o, at| o.set(at + SYMBOL_SECTION, 2, 0)), "Unknown { symbol: \"second\" }");
    // In the middle of an instruction.
    let error = numbers(|o| o.set(o.symbol("prime").1 + SYMBOL_VALUE, 8, 4));
    assert_eq!(error, "SymbolOutside { symbol: \"prime\" }");
    // The section that it is in takes no memory any more.
    let error = numbers(|o| o.set(o.section(".bss") + FLAGS, 8, 0));
    assert_eq!(error, "NotLoaded { symbol: \"zeros\" }");
}

#[test]
fn relocations_that_no_compiler_makes_are_named() {
    let fault = |section: &str, of: &str, breaks: fn(&mut Broken, usize), fault: RelocationFault| {
        let error = numbers(|o| breaks(o, o.relocation(section)));
        assert!(error.starts_with(&format!("Relocation {{ section: {of:?}, at: ")), "{error}");
        assert!(error.ends_with(&format!(", fault: {fault:?} }}")), "{error}");
    };
    fault(".reldata", "data", |o, at| o.set(at + 8, 4, 77), RelocationFault::Type(77));
    fault(".reldata", "data", |o, at| o.set(at + 8, 4, 2), RelocationFault::Type(2));
    fault(".rel.data", ".data", |o, at| o.set(at + 8, 4, 1), RelocationFault::Type(1));
    fault(".reldata", "data", |o, at| o.set(at + 12, 4, 9999), RelocationFault::Symbol(9999));
    fault(".reldata", "data", |o, at| o.set(at + 12, 4, 0), RelocationFault::Symbol(0));
    for place in [4, 1 << 20, u64::MAX - 7] {
        let error = numbers(|o| o.set(o.relocation(".reldata"), 8, place));
        let expected = format!("Relocation {{ section: \"data\", at: {place}, fault: Outside }}");
        assert_eq!(error, expected);
    }
    // The last but one has its first four bytes in the section.
    let data = Broken::new(NUMBERS);
    let end = data.get(data.section(".data") + SIZE, 8) as u64;
    for place in [end - 4, end, 1 << 20, u64::MAX - 3, u64::MAX] {
        let error = numbers(|o| o.set(o.relocation(".rel.data"), 8, place));
        assert_eq!(error, format!("Relocation {{ section: \".data\", at: {place}, fault: Outside }}"));
    }
    // The instruction behind the one that it is for; and the last one of the section, whose second half is missing.
    fault(".reldata", "data", |o, at| o.set(at, 8, 8 + o.get(at, 8) as u64), RelocationFault::Instruction);
    let last = |o: &mut Broken, at: usize| {
        let size = o.get(o.section("data") + SIZE, 8) as u64;
        o.put(at, 8, size - 8);
        let instruction = o.contents("data") + o.get(at, 8);
        o.put(instruction, 1, 0x18);
    };
    fault(".reldata", "data", last, RelocationFault::Outside);
    fault(".reldata", "data", |o, _| o.set(o.section(".reldata") + LINK, 4, 1), RelocationFault::Table);
    fault(".reldata", "data", |o, _| o.set(o.section(".reldata") + SIZE, 8, 15), RelocationFault::Table);
}

#[test]
fn calls_lead_to_functions_only() {
    // `code` calls nothing by a relocation: that of `host` are to functions of the kernel's.
    const HOST: &str = "host.clang-22.v4.o";
    let to = |symbol: &'static str| {
        refused(HOST, move |o| {
            let (number, relocations) = (o.symbol(symbol).0, o.section(".relhost"));
            let (first, size) = (o.get(relocations + OFFSET, 8), o.get(relocations + SIZE, 8));
            let call = (first..first + size).step_by(16).find(|at| o.get(*at + 8, 4) == 10).unwrap();
            o.put(call + 12, 4, number as u64);
        })
    };
    assert_eq!(to("greeting"), "CallOfData { symbol: \"greeting\" }");
    // What is no call, though its immediate value could be changed as that of one; and a call of a host function by its number.
    for (opcode, source) in [(0xb7, 1), (0x05, 1), (0x85, 0), (0x85, 2)] {
        let error = refused(HOST, |o| {
            let relocations = o.section(".relhost");
            let (first, size) = (o.get(relocations + OFFSET, 8), o.get(relocations + SIZE, 8));
            let call = (first..first + size).step_by(16).find(|at| o.get(*at + 8, 4) == 10).unwrap();
            let instruction = o.contents("host") + o.get(call, 8);
            o.put(instruction, 1, opcode).put(instruction + 1, 1, source << 4);
        });
        assert!(
            error.starts_with("Relocation { section: \"host\"") && error.ends_with("fault: Instruction }"),
            "{error}"
        );
    }
    // The address of a function.
    let error = numbers(|o| {
        let (prime, relocation) = (o.symbol("prime").0, o.relocation(".reldata"));
        o.put(relocation + 12, 4, prime as u64);
    });
    assert_eq!(error, "AddressOfCode { symbol: \"prime\" }");
    // A distance that leads out of the section of the function that is called.
    let error = refused(HOST, |o| {
        let (say, relocations) = (o.symbol("say").0, o.section(".relhost"));
        let (first, size) = (o.get(relocations + OFFSET, 8), o.get(relocations + SIZE, 8));
        let call = (first..first + size).step_by(16).find(|at| o.get(*at + 8, 4) == 10).unwrap();
        let instruction = o.contents("host") + o.get(call, 8);
        o.put(call + 12, 4, say as u64).put(instruction + 4, 4, 5000);
    });
    assert!(error.starts_with("Relocation { section: \"host\"") && error.ends_with("fault: Target }"), "{error}");
}

#[test]
fn jumps_stay_in_their_section_and_go_through_no_register() {
    for (opcode, expected) in [
        (0x8d, "ThroughRegister { section: \"code\", instruction: 0 }"),
        (0x0d, "ThroughRegister { section: \"code\", instruction: 0 }"),
        (0x05, "JumpOutside { section: \"code\", instruction: 0 }"),
        (0x15, "JumpOutside { section: \"code\", instruction: 0 }"),
        (0xe5, "JumpOutside { section: \"code\", instruction: 0 }"),
        (0x56, "JumpOutside { section: \"code\", instruction: 0 }"),
    ] {
        for distance in [-2i16, 0x7fff] {
            let error = numbers(|o| {
                o.set(o.contents("code"), 8, u64::from_le_bytes(Insn::new(opcode, 0, 0, distance, 0).to_bytes()))
            });
            assert_eq!(error, expected, "{opcode:#x} {distance}");
        }
    }
    let error =
        numbers(|o| o.set(o.contents("code"), 8, u64::from_le_bytes(Insn::new(0x06, 0, 0, 0, 0x7fff_ffff).to_bytes())));
    assert_eq!(error, "JumpOutside { section: \"code\", instruction: 0 }");
}

/// The first instruction of a section, and the trap behind it, are the last ones that a jump reaches; the trap is no function.
#[test]
fn a_section_ends_with_its_trap() {
    let instructions = |o: &Broken, section: &str| o.get(o.section(section) + SIZE, 8) as u64 / 8;
    for (beyond, is_loaded) in [(0i64, true), (1, false)] {
        for opcode in [0x05, 0x06] {
            for backwards in [false, true] {
                let mut object = Broken::new(NUMBERS);
                let (first, count) = (object.contents("code"), instructions(&object, "code"));
                let distance = if backwards { -1 - beyond } else { i64::try_from(count).unwrap() - 1 + beyond };
                let (offset, immediate) = if opcode == 0x05 {
                    (i16::try_from(distance).unwrap(), 0)
                } else {
                    (0, i32::try_from(distance).unwrap())
                };
                object.put(first, 8, u64::from_le_bytes(Insn::new(opcode, 0, 0, offset, immediate).to_bytes()));
                assert_eq!(object.loads().is_ok(), is_loaded, "{opcode:#x} {distance}: {:?}", object.loads());
            }
        }
        let mut object = Broken::new("host.clang-22.v4.o");
        let ((say, place), relocations) = (object.symbol("say"), object.section(".relhost"));
        let (first, size) = (object.get(relocations + OFFSET, 8), object.get(relocations + SIZE, 8));
        let call = (first..first + size).step_by(16).find(|at| object.get(*at + 8, 4) == 10).unwrap();
        let last = instructions(&object, "host") - object.get(place + SYMBOL_VALUE, 8) as u64 / 8 - 2;
        let instruction = object.contents("host") + object.get(call, 8);
        object.put(call + 12, 4, say as u64).put(instruction + 4, 4, last.wrapping_add_signed(beyond));
        assert_eq!(object.loads().is_ok(), is_loaded, "{:?}", object.loads());
    }
}

#[test]
fn data_are_aligned_as_each_section_asks() {
    let mut object = Broken::new(NUMBERS);
    object.set(object.section(".bss") + ALIGNMENT, 8, 512);
    let within = object.get(object.symbol("zeros").1 + SYMBOL_VALUE, 8);
    let object = Object::parse(&object.0).unwrap();
    assert_eq!(object.needs().data_alignment, 512);
    let mut code = vec![Insn::default(); object.needs().instructions as usize];
    let window = Plain::new(0x100..0x110);
    let loaded = object.load(&mut code, ArenaPtr::new(0x10_0000).unwrap(), base(), |_| None, &window).unwrap();
    let zeros = loaded.variable("zeros").unwrap().pointer.offset() as usize;
    assert!(zeros > 0x10_0000 && zeros % 512 == within, "{zeros:#x}");
}

#[test]
fn the_most_demanding_section_says_how_data_are_aligned() {
    for section in [".data", ".bss"] {
        let mut object = Broken::new(NUMBERS);
        object.set(object.section(section) + ALIGNMENT, 8, 512);
        assert_eq!(Object::parse(&object.0).unwrap().needs().data_alignment, 512, "{section}");
    }
}

#[test]
fn what_the_file_has_no_bytes_for_is_cleared() {
    let bytes = Broken::new(NUMBERS).0;
    let object = Object::parse(&bytes).unwrap();
    let mut code = vec![Insn::default(); object.needs().instructions as usize];
    let window = Plain::new(0x100..0x101);
    // Of whoever had the page before.
    for at in (0x10_0000..0x10_1000).step_by(8) {
        window.store(at, Width::Eight, u64::MAX).unwrap();
    }
    let loaded = object.load(&mut code, ArenaPtr::new(0x10_0000).unwrap(), base(), |_| None, &window).unwrap();
    let zeros = loaded.variable("zeros").unwrap();
    let first = zeros.pointer.offset();
    assert!(zeros.bytes > 512, "more than is cleared at once");
    for at in first..first + u32::try_from(zeros.bytes).unwrap() {
        assert_eq!(window.load(at, Width::One), Some(0), "{:#x} in", at - first);
    }
}

#[test]
fn memory_that_is_lent_must_do() {
    let bytes = Broken::new(NUMBERS).0;
    let object = Object::parse(&bytes).unwrap();
    let needs = object.needs();
    assert!(needs.data_bytes > 800 && needs.data_alignment == 8, "{needs:?}");
    let load = |room: usize, data: u32, pages: std::ops::Range<u32>| {
        let mut code = vec![Insn::default(); room];
        let data = ArenaPtr::new(data).unwrap();
        let loaded = object.load(&mut code, data, base(), |_| None, &Plain::new(pages));
        loaded.map(|loaded| assert_eq!(loaded.code().len(), needs.instructions as usize))
    };
    let room = needs.instructions as usize;
    load(room, 0x10_0000, 0x100..0x101).unwrap();
    load(room + 5, 0x10_0010, 0x100..0x101).unwrap();
    let short = LoadError::CodeRoom { needed: needs.instructions, given: room - 1 };
    assert_eq!(load(room - 1, 0x10_0000, 0x100..0x101), Err(short));
    assert_eq!(load(room, 0x10_0004, 0x100..0x101), Err(LoadError::DataAlignment { needed: 8 }));
    assert_eq!(load(room, 0xffff_fff0, 0x100..0x101), Err(LoadError::DataOutside));
    let missing = LoadError::NoPage { at: ArenaPtr::new(0x10_1000).unwrap() };
    assert_eq!(load(room, 0x10_0ff0, 0x100..0x101), Err(missing));
    assert_eq!(missing.to_string(), "there is no page at 0x101000: allocate what the data need first");
}
