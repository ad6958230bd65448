//! A network laid out once and run many times.
//!
//! [`graph`] reads what a model computes, [`unit`] joins layers whose rows can follow each other, so that what one computes
//! is still near when the next reads it, and packs their weights; [`Plan`] says which memory serves whom; [`step`] runs, and
//! [`kernels`] are the inner loops. Models with other operations than ours run on tract, slower.

mod graph;
mod kernels;
mod memory;
mod merge;
mod step;
#[cfg(test)]
mod tests;
mod unit;

use std::sync::{Mutex, PoisonError};

use pulp::Arch;
use tract_onnx::pb::ModelProto;

use graph::{Graph, Last, Output, Shape};
use kernels::{Ask, PAD};
use memory::{Memory, Places};
use step::{Crew, Step};

/// A network ready to run.
pub struct Plan {
    arch: Arch,
    steps: Vec<Step>,
    outputs: Vec<Taken>,
    places: Places,
    /// Memory of runs that have ended; a lock, because a network is shared and runs are many.
    spare: Mutex<Vec<Memory>>,
}

/// What is taken out at the end.
struct Taken {
    output: Output,
    place: usize,
    shape: Shape,
}

impl Shape {
    fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Channels with their padding.
    fn padded(self) -> usize {
        self.channels.next_multiple_of(PAD)
    }
}

impl Plan {
    /// Lays a model out, or says what in it is not known here.
    pub fn of(model: &ModelProto) -> Result<Self, String> {
        Self::lay_out(&graph::read(model)?)
    }

    fn lay_out(graph: &Graph) -> Result<Self, String> {
        let arch = Arch::new();
        let width = arch.dispatch(Ask);
        let mut places = Places::default();
        let mut at = vec![0; graph.nodes.len()];
        let mut readers = graph.readers();
        let mut steps = Vec::new();
        for unit in unit::units(graph) {
            let work = unit.work(graph, width)?;
            let shape = graph.nodes[unit.last].shape;
            let from = unit.reads.first().map_or(shape, |&node| graph.nodes[node].shape);
            let inputs = unit.reads.iter().map(|&node| at[node]).collect();
            let mut step = Step { work, inputs, place: 0, from, shape };
            step.place = places.take(step.size(), step.scratch());
            at[unit.last] = step.place;
            steps.push(step);
            for &node in &unit.reads {
                readers[node] -= 1;
                if readers[node] == 0 {
                    places.give(at[node]);
                }
            }
        }
        let taken = |output: &Output| {
            let (place, shape) = (at[output.node], graph.nodes[output.node].shape);
            Taken { output: output.clone(), place, shape }
        };
        let outputs = graph.outputs.iter().map(taken).collect();
        Ok(Self { arch, steps, outputs, places, spare: Mutex::default() })
    }

    /// Runs the network on a photograph: planes of blue, green and red.
    pub fn run(&self, planes: &[f32], threads: usize) -> Vec<Vec<f32>> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut memory = spare.unwrap_or_else(|| self.places.memory());
        for step in &self.steps {
            step.run(Crew { arch: self.arch, threads }, planes, &mut memory);
        }
        let numbers = self.outputs.iter().map(|taken| taken.numbers(&memory)).collect();
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        numbers
    }

    /// Overwrites what earlier runs left in memory.
    pub fn forget(&self) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Taken {
    fn numbers(&self, memory: &Memory) -> Vec<f32> {
        let Output { first, channels, last, .. } = self.output;
        let padded = self.shape.padded();
        let mut numbers = Vec::with_capacity(self.shape.pixels() * channels);
        for pixel in memory.place(self.place)[..self.shape.pixels() * padded].chunks_exact(padded) {
            numbers.extend_from_slice(&pixel[first..first + channels]);
        }
        match last {
            Last::Plain => {}
            Last::Sigmoid => numbers.iter_mut().for_each(|number| *number = step::sigmoid(*number)),
            Last::Softmax => {
                let most = numbers.iter().copied().fold(f32::MIN, f32::max);
                numbers.iter_mut().for_each(|number| *number = (*number - most).exp());
                let sum: f32 = numbers.iter().sum();
                numbers.iter_mut().for_each(|number| *number /= sum);
            }
        }
        numbers
    }
}
