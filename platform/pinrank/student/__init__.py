"""The student: two towers, lexical features and a small MLP, distilled from the teacher."""
