//! What later macroblocks must know of one that was parsed: their contexts depend on it (ISO/IEC 14496-10, 9.3.3.1.1).

/// What a macroblock is, as far as contexts of others depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not in this slice.
    Absent,
    /// P_Skip or B_Skip.
    Skip,
    /// B_Direct_16x16.
    Direct,
    /// Another one that is predicted from other pictures.
    Inter,
    /// Intra in blocks of 4x4 or 8x8 (I_NxN).
    IntraBlocks,
    /// Intra as a whole (Intra_16x16).
    IntraWhole,
    /// Samples without a code (I_PCM).
    Pcm,
}

/// A macroblock. Its 4x4 blocks and quarters are numbered in rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Macroblock {
    pub(super) kind: Kind,
    /// coded_block_pattern: a bit for each quarter of luma, and twice 0 to 2 for chroma above them.
    pub(super) pattern: u8,
    /// transform_size_8x8_flag.
    pub(super) transform_8x8: bool,
    /// Whether intra_chroma_pred_mode is not zero.
    pub(super) has_chroma_mode: bool,
    /// coded_block_flag of the DC blocks: luma, Cb, Cr.
    pub(super) dc: u8,
    /// coded_block_flag of the 4x4 blocks of luma.
    pub(super) luma: u16,
    /// coded_block_flag of the 4x4 blocks of Cb and Cr.
    pub(super) chroma: [u8; 2],
    /// For each list and quarter, whether its reference index is more than zero.
    pub(super) far: [u8; 2],
    /// For each list and 4x4 block, the size of both components of its motion vector difference, up to
    /// [`DIFFERENCE_MAX`].
    pub(super) differences: [[[u8; 2]; 16]; 2],
}

/// Larger sizes are not told apart (9.3.3.1.1.7).
pub(super) const DIFFERENCE_MAX: u32 = 64;

impl Macroblock {
    /// One without residual and motion.
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            pattern: 0,
            transform_8x8: false,
            has_chroma_mode: false,
            dc: 0,
            luma: 0,
            chroma: [0; 2],
            far: [0; 2],
            differences: [[[0; 2]; 16]; 2],
        }
    }

    /// In place of one that is not in this slice.
    pub(super) const ABSENT: Self = {
        let mut absent = Self::new(Kind::Absent);
        absent.pattern = 0x0f;
        absent
    };

    /// Samples without a code count as coded everywhere.
    pub(super) const PCM: Self = {
        let mut pcm = Self::new(Kind::Pcm);
        (pcm.pattern, pcm.dc, pcm.luma, pcm.chroma) = (0x2f, 7, 0xffff, [0x0f; 2]);
        pcm
    };

    /// Whether it is predicted from its own picture, or not predicted.
    pub(super) fn is_intra(&self) -> bool {
        matches!(self.kind, Kind::IntraBlocks | Kind::IntraWhole | Kind::Pcm)
    }

    /// The size of a component of a motion vector difference.
    pub(super) fn difference(&self, list: usize, block: usize, component: usize) -> u32 {
        let sizes = self.differences.get(list).and_then(|blocks| blocks.get(block));
        sizes.and_then(|sizes| sizes.get(component)).copied().map_or(0, u32::from)
    }

    /// Whether a quarter has a reference index of more than zero.
    pub(super) fn is_far(&self, list: usize, quarter: usize) -> bool {
        self.far.get(list).is_some_and(|far| far >> quarter & 1 == 1)
    }
}

/// A macroblock and those beside it.
pub(super) struct Place<'a> {
    pub(super) left: &'a Macroblock,
    pub(super) above: &'a Macroblock,
    pub(super) now: Macroblock,
}

impl Place<'_> {
    /// The context increment of an element with a condition on the macroblock on the left and the one above it:
    /// condTermFlagA + 2 * condTermFlagB, or their sum where `weight` is 1.
    pub(super) fn beside(&self, weight: usize, condition: impl Fn(&Macroblock) -> bool) -> usize {
        usize::from(condition(self.left)) + weight * usize::from(condition(self.above))
    }

    /// The blocks on the left of a block and above it, each with the macroblock that it is in. `side`: how many blocks
    /// are in a row of a macroblock; blocks are numbered in rows.
    pub(super) fn around(&self, block: usize, side: usize) -> [(&Macroblock, usize); 2] {
        let left = match block % side {
            0 => (self.left, block + side - 1),
            _ => (&self.now, block - 1),
        };
        let above = match block.checked_sub(side) {
            None => (self.above, block + side * (side - 1)),
            Some(above) => (&self.now, above),
        };
        [left, above]
    }
}
