"""One's own function, timed phase by phase, beside other functions and other commits."""

from jcnn.bench.own.compare import Change as Change
from jcnn.bench.own.compare import compare as compare
from jcnn.bench.own.run import FunctionResult as FunctionResult
from jcnn.bench.own.run import run_function as run_function
