//! Who may use which memory, and that memory, which is overwritten when it is dropped.

use zeroize::Zeroizing;

/// Numbers start at a multiple of this many bytes, so that no vector crosses a cache line.
const ALIGN: usize = 64;
/// Threads that a step is shared among at most.
pub const THREADS_MAX: usize = 2;

/// Which parts of memory there are, and which are free while a plan is made.
#[derive(Debug, Default)]
pub struct Places {
    sizes: Vec<usize>,
    free: Vec<usize>,
    work: usize,
}

impl Places {
    /// The smallest free place that suffices, else the largest one made larger, else a new one; and `work` numbers for each
    /// thread while it is filled.
    pub fn take(&mut self, size: usize, work: usize) -> usize {
        self.work = self.work.max(work);
        let fits = self.free.iter().copied().filter(|&place| self.sizes[place] >= size);
        let best = fits.min_by_key(|&place| self.sizes[place]);
        let best = best.or_else(|| self.free.iter().copied().max_by_key(|&place| self.sizes[place]));
        match best {
            Some(place) => {
                self.free.retain(|&other| other != place);
                self.sizes[place] = self.sizes[place].max(size);
                place
            }
            None => {
                self.sizes.push(size);
                self.sizes.len() - 1
            }
        }
    }

    pub fn give(&mut self, place: usize) {
        self.free.push(place);
    }

    pub fn memory(&self) -> Memory {
        Memory {
            places: self.sizes.iter().map(|&size| Aligned::zeros(size)).collect(),
            work: [0; THREADS_MAX].map(|_| Aligned::zeros(self.work)),
        }
    }
}

/// Memory of one run.
pub struct Memory {
    pub places: Vec<Aligned>,
    /// What a step needs while it runs, for each thread.
    pub work: [Aligned; THREADS_MAX],
}

impl Memory {
    pub fn place(&self, place: usize) -> &[f32] {
        self.places[place].as_slice()
    }
}

/// Numbers that start at a cache line.
#[derive(Default)]
pub struct Aligned {
    numbers: Zeroizing<Vec<f32>>,
    start: usize,
    size: usize,
}

impl Aligned {
    pub fn zeros(size: usize) -> Self {
        let numbers = Zeroizing::new(vec![0.0; size + ALIGN / size_of::<f32>()]);
        let start = numbers.as_ptr().align_offset(ALIGN).min(ALIGN / size_of::<f32>());
        Self { numbers, start, size }
    }

    pub fn as_slice(&self) -> &[f32] {
        &self.numbers[self.start..self.start + self.size]
    }

    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.numbers[self.start..self.start + self.size]
    }
}
