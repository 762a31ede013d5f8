"""Faces of a list of pictures with Spark: spark-submit spark_pipe.py list.txt faces [partitions]

Each partition pipes its paths, which all executors must see, through one `retinaface detect -`; lines of JSON come out.
"""

import sys

from pyspark.sql import SparkSession

# A picture that cannot be read is a line with its error, and exit code 1; beyond that the task has failed, and Spark repeats it.
DETECT = "sh -c 'retinaface detect - --json --quiet --size 640; [ $? -le 1 ]'"

paths, out = sys.argv[1:3]
partitions = int(sys.argv[3]) if len(sys.argv) > 3 else 8

spark = SparkSession.builder.appName("faces").getOrCreate()
lines = spark.sparkContext.textFile(paths).repartition(partitions)
lines.pipe(DETECT, checkCode=True).saveAsTextFile(out)
spark.stop()
