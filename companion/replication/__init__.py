"""For those who hold the real data: traces from a teacher, the doctor, cohorts as manifests, vLLM."""
