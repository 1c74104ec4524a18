MISTAKES={f"17.{i}":() for i in range(1,8)}
QUIZ=()
